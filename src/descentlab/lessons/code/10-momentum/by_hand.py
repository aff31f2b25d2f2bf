x = [1, 2, 3]
y = [1, 2, 3]
lr, momentum = 0.01, 0.9
W, v = 0.0, 0.0

for epoch in range(1, 13):
    print(f"Epoch: {epoch:2d}, W: {W:.3f}")
    errors = [W * x_i - y_i for x_i, y_i in zip(x, y)]
    g = 2 * sum(error * x_i for error, x_i in zip(errors, x)) / len(x)
    v = momentum * v + g
    W -= lr * v
