/// Clients in other languages, each held to a server of this build by its own tests.
@NullMarked
package dev.stepd.clients;

import org.jspecify.annotations.NullMarked;
