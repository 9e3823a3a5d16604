/// Holds what `docker` and `k8s` say to what the server is: without an engine or a cluster, but with everything else they name.
@NullMarked
package dev.stepd.containers;

import org.jspecify.annotations.NullMarked;
