import numpy as np

x = np.arange(1.0, 25.0)
y = x + 2


def descend(x, lr, epochs=10):
    W = b = 0.0
    for epoch in range(epochs):
        error = W * x + b - y
        W -= lr * 2 * np.mean(error * x)
        b -= lr * 2 * np.mean(error)
    return W, b, np.mean((W * x + b - y) ** 2)


W, b, cost = descend(x, lr=0.01)
print(f"before: cost {cost:.2e}")

mean, spread = x.mean(), x.std()
W, b, cost = descend((x - mean) / spread, lr=0.4)
W, b = W / spread, b - W * mean / spread  # for x as it was
print(f"after: W {W:.3f}, b {b:.3f}, cost {cost:.6f}")
