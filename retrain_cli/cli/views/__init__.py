"""How results look: on a terminal, in a pipe, as CSV and JSON."""
