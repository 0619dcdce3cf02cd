"""Who does it: one mailbox each; all I/O happens here, through ports. Imports protocol and Trio, never supervisors."""
