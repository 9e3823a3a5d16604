/// The program: its arguments, its settings, what it is made of, how it starts and ends. Sees every other package.
///
/// Start at [Stepd].
@NullMarked
package dev.stepd.server;

import org.jspecify.annotations.NullMarked;
