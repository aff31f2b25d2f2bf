import descentlab as dl

X = [
    [73, 80, 75],
    [93, 88, 93],
    [89, 91, 90],
    [96, 98, 100],
    [73, 66, 70],
]
y = [152, 185, 180, 196, 142]
problem = dl.Problem(X, y)

for done in (10, 20, 1000):
    run = dl.descend(problem, lr=1e-5, epochs=done)
    print(f"after {done:4d}: cost {run.cost:.3f}, b {run.params[3]:.1f}")

best = problem.solve()
print(f"the minimum: cost {best.cost:.3f}, b {best.params[3]:.1f}")
