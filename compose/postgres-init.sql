-- One database for each service; runs once, when the volume is new.
create database mlflow;
create database prefect;
