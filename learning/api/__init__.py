"""HTTP doors of feedback, statistics, experiments, rollouts and improvements."""
