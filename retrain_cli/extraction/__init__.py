"""From photos to bottlenecks: readers, decoder, forward pass, writer."""
