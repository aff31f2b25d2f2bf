import descentlab as dl

problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
rates = {"mean": 0.03, "half_mean": 0.06, "sum": 0.01, "half_sum": 0.02}

for name, lr in rates.items():
    run = dl.descend(problem, lr=lr, reduction=name, epochs=10)
    print(f"{name:9} lr: {lr:.2f} W: {run.params[0]:.3f}")
