"""The stack on this machine: its processes, the build and the deployment to it, and what ``sam local`` needs of it."""
