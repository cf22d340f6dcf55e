"""What runs a backbone: Keras on any engine, OpenVINO, a SavedModel; conversion between them."""
