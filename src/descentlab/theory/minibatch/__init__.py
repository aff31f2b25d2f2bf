"""What mini-batches do on average: the exact expectation of the cost when each batch draws its rows anew."""
