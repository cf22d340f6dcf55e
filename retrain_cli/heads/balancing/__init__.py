"""What is done about classes of unequal size: in the photos, in the loss, or afterwards."""
