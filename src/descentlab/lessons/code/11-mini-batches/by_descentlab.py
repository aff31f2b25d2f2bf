import descentlab as dl

x = [1, 2, 3, 4, 5, 6, 7, 8]
y = [2, 1, 4, 3, 6, 5, 8, 7]
problem = dl.Problem(x, y, bias=False)

for lr in (0.02, 0.01, 0.005):
    run = dl.descend(problem, lr=lr, batch_size=2, seed=0, epochs=300)
    average = run.history.cost[100:].mean()
    print(f"lr: {lr}, mean of last 200 costs: {average:.3f}")
