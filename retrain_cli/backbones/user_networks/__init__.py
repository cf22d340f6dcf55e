"""Networks that users bring: ONNX files and those of timm; what they say of themselves."""
