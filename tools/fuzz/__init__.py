"""Images that lie, for the tests and for tools/fuzz_decoder.py."""
