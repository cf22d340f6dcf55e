"""Commands that train the backbone itself."""
