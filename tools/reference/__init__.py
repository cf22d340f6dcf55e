"""Small images of every kind that file formats allow, for the table of reference pixels."""
