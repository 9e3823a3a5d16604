package dev.stepd.server;
import io.micronaut.runtime.Micronaut;
final class Stepd { private Stepd() {} public static void main(String[] a) { Micronaut.run(Stepd.class, a); } }
