import descentlab as dl

problem = dl.Problem([1, 2, 3], [1, 2, 3], bias=False)
run = dl.descend(problem, lr=0.01, momentum=0.9, epochs=12)

for epoch, (W,) in zip(run.history.epoch, run.history.params):
    print(f"Epoch: {epoch:2d}, W: {W:.3f}")
