"""How the linear model of ``classifier`` is made; nothing here runs in production."""
