"""Events where they can be searched and counted: a contract and its implementations."""
