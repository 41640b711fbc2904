"""Events to files, standard output, Kafka and NATS."""
