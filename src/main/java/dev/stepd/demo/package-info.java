/// The demo: trains a classifier of real digits through the HTTP interface of a real server process, which is killed
/// and started again half-way. It is a client and nothing more: it knows the contract, not the classes behind it.
///
/// Start at [Demo]. May use `tensor`, for the framing of bodies.
@NullMarked
package dev.stepd.demo;

import org.jspecify.annotations.NullMarked;
