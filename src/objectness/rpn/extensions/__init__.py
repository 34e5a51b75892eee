"""Extensions of the paper's network: ATSS, task-aligned training, OLN, localization quality, refinement."""
