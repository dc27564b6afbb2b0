"""DeepSpeed trainer, evaluator and study of X-STILTs: English intermediate tasks, English target tasks, many languages."""
