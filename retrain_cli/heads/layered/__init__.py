"""More than one softmax layer: normalised bottlenecks, hidden layers, dropout, cosines."""
