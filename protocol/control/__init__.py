"""What commands and the process that holds a device say to each other over its local socket."""
