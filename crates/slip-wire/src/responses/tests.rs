//! Both ways at once.
