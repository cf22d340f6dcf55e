"""Training of the bundled backbone: photos, teachers' cached views, the training loop."""
