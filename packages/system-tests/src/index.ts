/** This package holds tests of the whole system and offers nothing to import. */
export {};
