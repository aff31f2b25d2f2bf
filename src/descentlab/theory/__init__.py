"""What follows without a run: stability bound, limit point, settling time, overflow, optimal rates, sweeps."""
