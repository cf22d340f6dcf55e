"""Commands that make a folder of images, or take one apart."""
