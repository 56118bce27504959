"""A simulated Linux host: kernel, systemd, and carpd as the protocol core on the lab's wires."""
