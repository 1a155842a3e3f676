// Runs hypervisor code under every relevant interleaving and fault, and hands back what replays a failure.
