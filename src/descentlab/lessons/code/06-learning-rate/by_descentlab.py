import descentlab as dl

problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
spectrum = problem.spectrum()
print(f"bound: {spectrum.lr_bound():.4f}")

for lr in (0.01, 0.05, 0.15, 0.2, 0.25):
    run = dl.descend(problem, lr=lr, epochs=10)
    factor = 1 - lr * spectrum.lambda_max
    print(f"lr: {lr:.2f}, factor: {factor:.4f}, W: {run.params[0]:.3f}")
