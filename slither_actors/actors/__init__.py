"""The actor runtime: scheduler, mailbox, links, servers, supervisors."""
