"""HTTP: what any service needs: routes, bodies, work, authentication, errors."""
