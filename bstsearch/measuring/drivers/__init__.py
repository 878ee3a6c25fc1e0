"""One file or folder for each way to reach a device."""
