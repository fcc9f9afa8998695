//! Python bindings: conversion, the GIL, errors and signals; nothing is decided here.
