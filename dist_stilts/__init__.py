"""DeepSpeed trainer, evaluator and study of X-STILTs: English intermediate and target tasks, many languages."""
