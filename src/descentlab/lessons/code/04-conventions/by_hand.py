x = [1, 2, 3]
y = [1, 2, 3]
m = len(x)
factors = {"mean": 2 / m, "half_mean": 1 / m, "sum": 2, "half_sum": 1}
rates = {"mean": 0.03, "half_mean": 0.06, "sum": 0.01, "half_sum": 0.02}

for name, c in factors.items():
    W = 0.0
    for epoch in range(10):
        W -= rates[name] * c * sum((W * a - b) * a for a, b in zip(x, y))
    print(f"{name:9} lr: {rates[name]:.2f} W: {W:.3f}")
