"""A node of another version than the service's; else the same."""

from daemon.fleet import node

node.__version__ = "0.0.1"

if __name__ == "__main__":
    node.main()
