"""HTTP: routes, bodies, work, authentication and errors, as any service needs them."""
