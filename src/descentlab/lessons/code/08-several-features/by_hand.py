import numpy as np

rows = [
    [73, 80, 75],
    [93, 88, 93],
    [89, 91, 90],
    [96, 98, 100],
    [73, 66, 70],
]
X = np.array(rows)
y = np.array([152, 185, 180, 196, 142])
w, b, lr = np.zeros(3), 0.0, 1e-5

for done in range(1, 1001):
    errors = X @ w + b - y
    w -= lr * 2 * X.T @ errors / len(y)
    b -= lr * 2 * errors.mean()
    if done in (10, 20, 1000):
        cost = np.mean((X @ w + b - y) ** 2)
        print(f"after {done:4d}: cost {cost:.3f}, b {b:.1f}")

A = np.column_stack([X, np.ones(len(y))])
best = np.linalg.lstsq(A, y, rcond=None)[0]
cost = np.mean((A @ best - y) ** 2)
print(f"the minimum: cost {cost:.3f}, b {best[3]:.1f}")
