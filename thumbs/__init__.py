"""The tool that people run beside the application: the embedded stack, the offline image API and the command."""
