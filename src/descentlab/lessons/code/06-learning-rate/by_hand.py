x = [1, 2, 3]
y = [1, 2, 3]
curvature = 2 * sum(x_i**2 for x_i in x) / len(x)
print(f"bound: {2 / curvature:.4f}")

for lr in (0.01, 0.05, 0.15, 0.2, 0.25):
    W = 0.0
    for epoch in range(10):
        products = [(W * x_i - y_i) * x_i for x_i, y_i in zip(x, y)]
        W -= lr * 2 * sum(products) / len(x)
    print(f"lr: {lr:.2f}, factor: {1 - lr * curvature:.4f}, W: {W:.3f}")
