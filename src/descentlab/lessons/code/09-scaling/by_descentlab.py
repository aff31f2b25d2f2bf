import descentlab as dl

X = [[73, 80, 75], [93, 88, 93], [89, 91, 90], [96, 98, 100], [73, 66, 70]]
y = [152, 185, 180, 196, 142]
problem = dl.Problem(X, y, standardize=True)
run = dl.descend(problem, lr=0.1, epochs=100)

for epoch in (1, 20, 24, 100):
    print(f"Epoch: {epoch:3d}, Cost: {run.history.cost[epoch - 1]:.2f}")

*W, b = run.params  # in the data's units: the new row stays as it is
new = sum(w * x for w, x in zip(W, [80, 85, 80])) + b
print(f"A new student: {new:.1f}")
