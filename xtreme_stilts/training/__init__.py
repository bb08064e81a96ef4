"""Training: mesh, optimizer, jitted steps, checkpoints, the loop of one phase. No TensorFlow here."""
