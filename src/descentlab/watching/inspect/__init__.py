"""What is read off the loop: loss graph, gradients, modes, batches."""
